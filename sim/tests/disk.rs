//! Disks as a process sees them: it reads what it wrote, and after a restart what was durable.

mod common;

use common::{Happening, Notes, Word, one_millisecond_apart, scripted};
use snowglobe_sim::{Config, Context, Decision, Delay, Ending, EventId, Fault, Label, MILLIS, NodeId};

const A: NodeId = NodeId(0);

type Ctx = Context<Word>;

fn text(bytes: Option<Vec<u8>>) -> String {
    bytes.map_or("nothing".to_owned(), |bytes| format!("'{}'", String::from_utf8(bytes).unwrap()))
}

/// A reader is a note of what the file holds.
fn read(ctx: &mut Ctx, file: &'static str) {
    let content = text(ctx.read(file));
    ctx.note(format!("{file} {content}"));
}

fn run(config: Config, script: impl Fn(&mut Ctx, &mut u64, Happening) + Send + Sync + 'static) -> Notes {
    let mut notes = Notes::default();
    assert_eq!(scripted(config, 1, script).run(&mut notes), Ending::Quiet);
    notes
}

#[test]
fn a_handler_reads_its_own_writes_in_their_order() {
    let notes = run(one_millisecond_apart(1), |ctx, _, happening| {
        if matches!(happening, Happening::Start) {
            read(ctx, "file");
            ctx.append("file", "ab");
            read(ctx, "file");
            ctx.append("file", "c");
            read(ctx, "file");
            ctx.write("file", "x");
            ctx.write("other", "y");
            read(ctx, "file");
            ctx.append("file", "z");
            read(ctx, "file");
            ctx.remove("file");
            read(ctx, "file");
            ctx.remove("file");
            ctx.append("file", "new");
            read(ctx, "file");
            read(ctx, "other");
            ctx.write("empty", "");
            read(ctx, "empty");
        }
    });
    assert_eq!(
        notes.of(0),
        [
            "file nothing",
            "file 'ab'",
            "file 'abc'",
            "file 'x'",
            "file 'xz'",
            "file nothing",
            "file 'new'",
            "other 'y'",
            "empty ''",
        ]
    );
}

#[test]
fn files_with_a_number_are_files_of_their_own_and_so_are_those_of_other_nodes() {
    let mut world = scripted(one_millisecond_apart(2), 1, |ctx: &mut Ctx, _: &mut u64, _| {
        if ctx.node() == A {
            ctx.write(("page", 1), "one");
            ctx.write(("page", 2), "two");
        }
    });
    world.run(&mut ());
    let disk = world.disk(A).unwrap();
    assert_eq!(disk.read(("page", 1).into()), Some(&b"one"[..]));
    assert_eq!(disk.read(("page", 2).into()), Some(&b"two"[..]));
    assert_eq!(disk.read("page".into()), None);
    assert_eq!(disk.used(), 6);
    assert_eq!(disk.files().collect::<Vec<_>>(), [Label::keyed("page", 1), Label::keyed("page", 2)]);
    assert!(world.disk(NodeId(1)).is_none());
}

/// Writes, syncs, writes more; crashes at 20 ms with nothing kept that was not synced; reads at the next start.
fn across_a_crash(keep: bool) -> Notes {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| match happening {
        Happening::Start => {
            read(ctx, "log");
            read(ctx, "old");
            read(ctx, "new");
            if ctx.incarnation() == 0 {
                ctx.write("log", "1");
                ctx.write("old", "stays");
                ctx.sync("first");
                // After the sync was asked for: not covered by it.
                ctx.append("log", "2");
                ctx.remove("old");
            }
        }
        Happening::Sync(label, Ok(())) => {
            ctx.note(format!("durable {label}"));
            read(ctx, "log");
            ctx.append("log", "3");
            ctx.write("new", "n");
        }
        _ => {}
    };
    let mut config = one_millisecond_apart(1);
    config.sync_delay = Delay::Constant(5 * MILLIS);
    config.faults.list = vec![Fault::Crash { node: A, at: 20 * MILLIS, down: Some(MILLIS) }];
    let mut trace = common::Trace::default();
    scripted(config.clone(), 1, script).run(&mut trace);
    let crash = trace.of(|kind| matches!(kind, common::Kind::Crash { .. }))[0].stamp.id;
    let mut world = scripted(config, 1, script);
    world.reset(1, [(crash, Decision::Keep(keep))].into_iter().collect());
    let mut notes = Notes::default();
    assert_eq!(world.run(&mut notes), Ending::Quiet);
    notes
}

#[test]
fn after_a_restart_a_process_reads_what_was_durable() {
    let before = ["log nothing", "old nothing", "new nothing", "durable first", "log '12'"];
    let lost = across_a_crash(false);
    assert_eq!(lost.of(0), [&before[..], &["log '1'", "old 'stays'", "new nothing"]].concat());
    let kept = across_a_crash(true);
    assert_eq!(kept.of(0), [&before[..], &["log '123'", "old nothing", "new 'n'"]].concat());
}

#[test]
fn a_sync_that_a_crash_overtakes_is_never_heard_of() {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| match happening {
        Happening::Start => {
            read(ctx, "log");
            ctx.append("log", ctx.incarnation().to_string());
            ctx.sync(("of life", u64::from(ctx.incarnation()) + 1));
        }
        Happening::Sync(label, _) => {
            ctx.note(format!("durable {label}"));
        }
        _ => {}
    };
    let mut config = one_millisecond_apart(1);
    config.sync_delay = Delay::Constant(10 * MILLIS);
    config.faults.list = vec![Fault::Kill { node: A, at: 5 * MILLIS, down: Some(MILLIS) }];
    let notes = run(config, script);
    assert_eq!(notes.timed(0), ["0 log nothing", "6 log '0'", "16 durable of life/2"]);
}

#[test]
fn what_an_unlucky_handler_wrote_after_its_crash_is_not_on_the_disk() {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| {
        if matches!(happening, Happening::Start) {
            read(ctx, "log");
            ctx.append("log", "1");
            ctx.append("log", "2");
            ctx.append("log", "3");
        }
    };
    // A note comes before the writes: after three effects, two of them are on the disk, and the crash may keep them.
    let mut world = scripted(one_millisecond_apart(1), 1, script);
    let boot = EventId::boot(A, 0);
    world.reset(1, [(boot, Decision::Crash(Some(3)))].into_iter().collect());
    world.step(&mut ()).unwrap();
    assert!(world.process(A).is_none());
    let mut found = std::collections::BTreeSet::new();
    for seed in 0..100 {
        world.reset(seed, [(boot, Decision::Crash(Some(3)))].into_iter().collect());
        let mut notes = Notes::default();
        world.run(&mut notes);
        found.insert(notes.of(0)[1].to_owned());
    }
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["log '1'", "log '12'", "log nothing"]);
}
