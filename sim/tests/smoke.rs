//! smoke
use snowglobe_sim::*;
#[derive(Clone, Hash, Debug)]
struct Ball(u64);
impl Message for Ball { type Note = (); fn label(&self) -> Label { Label::new("ball") } }
#[derive(Clone)]
struct Player { left: u64 }
impl Process for Player {
    type Message = Ball;
    fn on_start(&mut self, ctx: &mut Context<Ball>) { if ctx.node() == NodeId(0) { ctx.send(NodeId(1), Ball(0)); } }
    fn on_message(&mut self, ctx: &mut Context<Ball>, from: NodeId, m: Ball) { if m.0 < self.left { ctx.send(from, Ball(m.0+1)); } }
}
#[test]
fn ping() {
    let n = 10_000_000;
    let mut w = World::new(Config { limits: Limits{ time: u64::MAX, steps: u64::MAX, steps_at_once: u64::MAX}, ..Config::new(2)}, 1, move |_| Player { left: n });
    let t = std::time::Instant::now();
    let e = w.run(&mut ());
    println!("{e:?} {} {:?} ns/ev {}", w.steps(), w.digest(), t.elapsed().as_nanos() as u64 / w.steps());
}
