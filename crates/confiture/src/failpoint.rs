//! Places between two durable steps, named, where tests let the process die.

/// Called when a run passes a named place.
#[cfg(feature = "failpoints")]
pub type Hook = Box<dyn Fn(&'static str) + Send + Sync>;

#[cfg(feature = "failpoints")]
static HOOKS: std::sync::RwLock<Vec<std::sync::Arc<Hook>>> = std::sync::RwLock::new(Vec::new());

/// Has `hook` called at every failpoint of this process from now on, beside those that are there.
#[cfg(feature = "failpoints")]
pub fn on_reached(hook: Hook) {
    HOOKS.write().expect("not poisoned").push(std::sync::Arc::new(hook));
}

/// Marks a place. Without the feature `failpoints`, which only tests have, this is nothing.
#[inline]
pub(crate) fn reached(_name: &'static str) {
    #[cfg(feature = "failpoints")]
    for hook in HOOKS.read().expect("not poisoned").clone() {
        hook(_name);
    }
}
