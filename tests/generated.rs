//! Written by `shrink --test`.

// The catalogue that has the scenario.
use snowglobe::models::catalogue;

#[test]
// To be removed once it is mended: the test then guards that it stays so.
#[should_panic(expected = "violates \"the account is right\"")]
fn rpc_s3_at_least_once_violates_the_account_is_right() {
    snowglobe::prop::replay(&catalogue(), REPRODUCTION);
}

const REPRODUCTION: &str = r#"
{
  "format": "snowglobe-repro",
  "version": 1,
  "scenario": "rpc/s3-at-least-once",
  "settings": {
    "clients": 1,
    "calls": 1,
    "network": "dslabs"
  },
  "seed": 0,
  "overrides": [
    "lose reply server -> client-1 of call client-1/1, attempt 1"
  ],
  "otherwise": "plain",
  "expect": {
    "property": "the account is right",
    "digest": "2ad0b1b0b788f966"
  }
}
"#;
