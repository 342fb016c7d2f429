//! The words that rules are made of: kinds of personal data, lists of fakes, units.

use super::{MaskTemplate, Method, Piece};

/// The only alphabet that format preservation has today, and how else it may be written.
pub const FPE_ALPHABETS: [&str; 2] = ["digits", "alphanumeric"];

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// All of them, as they are written.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),*];

            /// The word for it in files.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The one that `word` stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().find(|(written, _)| *written == word).map(|(_, value)| *value)
            }

            /// The words alone.
            pub fn words() -> impl Iterator<Item = &'static str> {
                Self::ALL.iter().map(|(word, _)| *word)
            }
        }
    };
}

words! {
    /// Lists of words to choose from.
    FakeKind {
        /// First name and last name.
        Name = "name",
        /// A first name.
        FirstName = "first_name",
        /// A last name.
        LastName = "last_name",
        /// A company's name.
        Company = "company",
        /// A town.
        City = "city",
        /// House number and street.
        Street = "street",
        /// A trade.
        Job = "job",
        /// A user's name: words and a number.
        Username = "username",
        /// Some words without meaning.
        Sentence = "sentence",
    }
}

words! {
    /// The language of a list.
    Locale {
        /// English.
        En = "en",
        /// French.
        Fr = "fr",
        /// German.
        De = "de",
    }
}

words! {
    /// Kinds of personal data that have a rule of their own.
    PersonalKind {
        /// An e-mail address.
        Email = "email",
        /// A telephone number.
        Phone = "phone",
        /// A person's name.
        Name = "name",
        /// A first name.
        FirstName = "first_name",
        /// A last name.
        LastName = "last_name",
        /// A user's name.
        Username = "username",
        /// House number and street.
        Street = "street",
        /// A town.
        City = "city",
        /// A company.
        Company = "company",
        /// A postal code.
        PostalCode = "postal_code",
        /// A social security, tax or passport number.
        NationalId = "national_id",
        /// A card number.
        Card = "card",
        /// A bank account.
        Iban = "iban",
        /// An address of the internet protocol.
        Ip = "ip",
        /// A password, token or key.
        Secret = "secret",
        /// A birthday.
        Birthday = "birthday",
        /// A link to a person's page.
        Url = "url",
        /// Text in which anything may stand.
        FreeText = "free_text",
    }
}

words! {
    /// What a date is cut to.
    Truncation {
        /// Midnight.
        Day = "day",
        /// The Monday before.
        Week = "week",
        /// The first of the month.
        Month = "month",
        /// The first of the quarter.
        Quarter = "quarter",
        /// The first of January.
        Year = "year",
        /// The first of January of the decade.
        Decade = "decade",
    }
}

impl PersonalKind {
    /// What is done with it where the file says nothing else.
    #[must_use]
    pub fn method(self) -> Method {
        let template = |pieces: &[Piece]| Method::Template(MaskTemplate { pieces: pieces.to_vec() });
        match self {
            Self::Email => template(&[Piece::Hash(20), Piece::Text("@example.com".to_owned())]),
            Self::Phone | Self::PostalCode | Self::NationalId | Self::Iban => Method::Fpe,
            Self::Name => Method::Fake(FakeKind::Name, Locale::En),
            Self::FirstName => Method::Fake(FakeKind::FirstName, Locale::En),
            Self::LastName => Method::Fake(FakeKind::LastName, Locale::En),
            Self::Username => template(&[Piece::Text("user_".to_owned()), Piece::Hash(20)]),
            Self::Street => Method::Fake(FakeKind::Street, Locale::En),
            Self::City => Method::Fake(FakeKind::City, Locale::En),
            Self::Company => Method::Fake(FakeKind::Company, Locale::En),
            Self::Card => Method::Card,
            Self::Ip => Method::Ip,
            Self::Secret => Method::Hash(32),
            Self::Birthday => Method::Date(Truncation::Year),
            Self::Url => template(&[Piece::Text("https://example.com/".to_owned()), Piece::Hash(20)]),
            Self::FreeText => Method::Fake(FakeKind::Sentence, Locale::En),
        }
    }

    /// The kinds that free text can be searched for; telephone numbers last, as others look like them.
    pub const PATTERNS: [Self; 6] =
        [Self::Email, Self::Iban, Self::Card, Self::NationalId, Self::Ip, Self::Phone];
}
