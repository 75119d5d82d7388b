//! A few small traces, kept as files that a person can read: `make golden` writes them anew.

mod support;

use snowglobe::check::parse_pairs;
use support::{assert_golden, trace};

macro_rules! golden {
    ($($name:ident: $scenario:literal, seed $seed:literal, [$($setting:literal),*];)*) => {
        $(
            #[test]
            fn $name() {
                let catalogue = snowglobe::models::catalogue();
                let settings = parse_pairs([$($setting),*]).expect("the settings are well-formed");
                let prepared =
                    catalogue.find($scenario).expect("it exists").prepare(&settings).expect("it is possible");
                let bytes = trace(&mut *prepared.runner(), $seed);
                let text = String::from_utf8(bytes).expect("a trace is text");
                assert_golden(concat!(stringify!($name), ".jsonl"), &text);
            }
        )*
    };
}

golden! {
    a_request_is_lost: "rpc/s1-request-lost", seed 0, [];
    a_server_dies_before_it_replies: "rpc/s1-server-dies", seed 0, [];
    a_reply_is_lost: "rpc/s1-reply-lost", seed 0, [];
    best_effort_gives_up: "rpc/s2-best-effort", seed 0, ["clients=1", "calls=1"];
    an_account_loses_twice: "rpc/s3-at-least-once", seed 2, ["clients=1", "calls=1", "network=dslabs"];
    a_duplicate_waits_for_its_original: "rpc/s20-wait", seed 0, ["clients=1", "calls=1", "network=reliable"];
    a_crawl_one_page_at_a_time: "crawler/c1-serial", seed 0, [];
    two_tasks_fetch_one_page: "crawler/c3-shared-map", seed 6, [];
    a_crawl_with_a_lock: "crawler/c5-locked", seed 0, [];
    a_coordinator_waits_for_ever: "crawler/c7-silent-on-error", seed 0, [];
    a_first_send_blocks: "crawler/c7-first-send-blocks", seed 0, [];
}
