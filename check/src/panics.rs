//! Panics of user code inside a run: caught by the world, kept off standard error, and told with their place.

use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;

thread_local! {
    /// Thread-local because the panic hook is one for the process and runs are many; it never reaches a run.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Leaves the silence, also when a panic is not the user's and travels on.
struct Leave(bool);

impl Drop for Leave {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

/// Runs `run` with panics kept silent, and returns where the last one was, if there was one.
pub(crate) fn silenced<T>(run: impl FnOnce() -> T) -> (T, Option<String>) {
    HOOK.call_once(|| {
        let outside = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if INSIDE.get() {
                let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
                PLACE.with(|slot| *slot.borrow_mut() = place);
            } else {
                outside(info);
            }
        }));
    });
    let _leave = Leave(INSIDE.replace(true));
    let result = run();
    (result, PLACE.take())
}
