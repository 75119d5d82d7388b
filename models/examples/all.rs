//! tmp
use std::sync::atomic::AtomicBool;
fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    for e in snowglobe_models::catalogue().iter() {
        let p = e.prepare(&serde_json::Map::new()).unwrap();
        let t = std::time::Instant::now();
        let r = check::sweep(&*p, &check::Sweep { seeds: 0..n, jobs: 0, first: false }, &AtomicBool::new(false), &|_, _| {}).unwrap();
        println!("{:28} expected {:40} agreement {:?} runs {} violated {} {:?} steps/run {} {} us/run", e.name(), e.expected().to_string(), r.agreement(e.expected(), &e.situations()), r.runs, r.violated, r.properties.iter().map(|(k,v)|(k.as_str(), v.runs, v.first)).collect::<Vec<_>>(), r.steps / r.runs, t.elapsed().as_micros() as u64 / r.runs);
        println!("      {:?}", r.situations);
        if std::env::args().nth(2).is_some() { println!("      {:?}", r.faults); if let Some(f) = r.first { println!("    {:?}", f.violations); } }
    }
}
