//! Panics of user code, of processes and of judges: kept off standard error, and told with their place. Those of processes
//! are caught by the world, those of judges [here](caught).

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
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

/// Runs `judge`; the words and the place of its panic, if it panics.
pub(crate) fn caught(judge: impl FnOnce()) -> Result<(), String> {
    let (result, place) = silenced(|| panic::catch_unwind(AssertUnwindSafe(judge)));
    result.map_err(|payload| match place {
        Some(place) => format!("{} ({place})", words(&*payload)),
        None => words(&*payload),
    })
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
