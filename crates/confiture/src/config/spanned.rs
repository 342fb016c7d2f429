//! A value and where the user wrote it.

use crate::error::Place;

/// A value with its place in the user's file, where it came from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands; `None` for what came from the command line or from a rule of ours.
    pub place: Option<Place>,
}

impl<T> Spanned<T> {
    /// A value from a file.
    pub fn at(place: Place, value: T) -> Self {
        Self { value, place: Some(place) }
    }

    /// A value from elsewhere.
    pub fn nowhere(value: T) -> Self {
        Self { value, place: None }
    }

    /// The same place, another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: change(self.value), place: self.place }
    }

    /// Gives an error this place.
    #[must_use]
    pub fn locate(&self, error: crate::Error) -> crate::Error {
        match &self.place {
            Some(place) => error.or_at(place),
            None => error,
        }
    }
}
