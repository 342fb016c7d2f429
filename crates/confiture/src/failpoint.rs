//! Places between two durable steps, named, where tests let the process die.

/// Called when a run passes a named place.
#[cfg(feature = "failpoints")]
pub type Hook = Box<dyn Fn(&'static str) + Send + Sync>;

#[cfg(feature = "failpoints")]
static HOOK: std::sync::OnceLock<Hook> = std::sync::OnceLock::new();

/// Has `hook` called at every failpoint of this process from now on. Only the first hook counts.
#[cfg(feature = "failpoints")]
pub fn on_reached(hook: Hook) {
    let _ = HOOK.set(hook);
}

/// Marks a place. Without the feature `failpoints`, which only tests have, this is nothing.
#[inline]
pub(crate) fn reached(_name: &'static str) {
    #[cfg(feature = "failpoints")]
    if let Some(hook) = HOOK.get() {
        hook(_name);
    }
}
