//! What a column probably holds, by its name: in English, French, German and Spanish. Pure.

use crate::catalog::{Catalog, Column};
use crate::config::sync_rules::PersonalKind;
use crate::sync::types::{Family, family};

/// Words of names and what they mean; the first that fits decides, so longer ones stand first.
const WORDS: &[(&str, PersonalKind)] = &[
    ("email", PersonalKind::Email),
    ("e_mail", PersonalKind::Email),
    ("mail", PersonalKind::Email),
    ("courriel", PersonalKind::Email),
    ("correo", PersonalKind::Email),
    ("ip_address", PersonalKind::Ip),
    ("ipaddr", PersonalKind::Ip),
    ("remote_addr", PersonalKind::Ip),
    ("ip", PersonalKind::Ip),
    ("phone", PersonalKind::Phone),
    ("mobile", PersonalKind::Phone),
    ("telephone", PersonalKind::Phone),
    ("tel", PersonalKind::Phone),
    ("telefon", PersonalKind::Phone),
    ("telefono", PersonalKind::Phone),
    ("handy", PersonalKind::Phone),
    ("fax", PersonalKind::Phone),
    ("first_name", PersonalKind::FirstName),
    ("firstname", PersonalKind::FirstName),
    ("given_name", PersonalKind::FirstName),
    ("prenom", PersonalKind::FirstName),
    ("vorname", PersonalKind::FirstName),
    ("last_name", PersonalKind::LastName),
    ("lastname", PersonalKind::LastName),
    ("surname", PersonalKind::LastName),
    ("family_name", PersonalKind::LastName),
    ("nom_de_famille", PersonalKind::LastName),
    ("nachname", PersonalKind::LastName),
    ("apellido", PersonalKind::LastName),
    ("user_name", PersonalKind::Username),
    ("username", PersonalKind::Username),
    ("login", PersonalKind::Username),
    ("nickname", PersonalKind::Username),
    ("handle", PersonalKind::Username),
    ("company_name", PersonalKind::Company),
    ("full_name", PersonalKind::Name),
    ("fullname", PersonalKind::Name),
    ("display_name", PersonalKind::Name),
    ("contact_name", PersonalKind::Name),
    ("person_name", PersonalKind::Name),
    ("card_number", PersonalKind::Card),
    ("credit_card", PersonalKind::Card),
    ("creditcard", PersonalKind::Card),
    ("cc_number", PersonalKind::Card),
    ("pan", PersonalKind::Card),
    ("iban", PersonalKind::Iban),
    ("account_number", PersonalKind::Iban),
    ("ssn", PersonalKind::NationalId),
    ("social_security", PersonalKind::NationalId),
    ("passport", PersonalKind::NationalId),
    ("tax_id", PersonalKind::NationalId),
    ("taxid", PersonalKind::NationalId),
    ("vat", PersonalKind::NationalId),
    ("nir", PersonalKind::NationalId),
    ("steuer", PersonalKind::NationalId),
    ("dni", PersonalKind::NationalId),
    ("license_number", PersonalKind::NationalId),
    ("password", PersonalKind::Secret),
    ("passwd", PersonalKind::Secret),
    ("passwort", PersonalKind::Secret),
    ("secret", PersonalKind::Secret),
    ("token", PersonalKind::Secret),
    ("api_key", PersonalKind::Secret),
    ("apikey", PersonalKind::Secret),
    ("salt", PersonalKind::Secret),
    ("birth", PersonalKind::Birthday),
    ("birthday", PersonalKind::Birthday),
    ("birth_date", PersonalKind::Birthday),
    ("date_of_birth", PersonalKind::Birthday),
    ("dob", PersonalKind::Birthday),
    ("naissance", PersonalKind::Birthday),
    ("geburtsdatum", PersonalKind::Birthday),
    ("postal_code", PersonalKind::PostalCode),
    ("postcode", PersonalKind::PostalCode),
    ("zip", PersonalKind::PostalCode),
    ("zipcode", PersonalKind::PostalCode),
    ("plz", PersonalKind::PostalCode),
    ("address", PersonalKind::Street),
    ("street", PersonalKind::Street),
    ("adresse", PersonalKind::Street),
    ("strasse", PersonalKind::Street),
    ("rue", PersonalKind::Street),
    ("city", PersonalKind::City),
    ("town", PersonalKind::City),
    ("ville", PersonalKind::City),
    ("ort", PersonalKind::City),
    ("avatar_url", PersonalKind::Url),
    ("website", PersonalKind::Url),
    ("homepage", PersonalKind::Url),
    ("bio", PersonalKind::FreeText),
    ("comment", PersonalKind::FreeText),
    ("comments", PersonalKind::FreeText),
    ("note", PersonalKind::FreeText),
    ("notes", PersonalKind::FreeText),
    ("message", PersonalKind::FreeText),
    ("body", PersonalKind::FreeText),
    ("description", PersonalKind::FreeText),
    ("name", PersonalKind::Name),
];

/// The kind that a name speaks of. Whole words count: `zip_code` is one, `zipper` is none.
pub(crate) fn kind_of_name(name: &str) -> Option<PersonalKind> {
    let padded = format!("_{}_", words(name));
    WORDS.iter().find(|(word, _)| padded.contains(&format!("_{word}_"))).map(|(_, kind)| *kind)
}

/// `shippingAddress2` as `shipping_address`.
fn words(name: &str) -> String {
    let mut words = String::new();
    let mut before = '_';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            words.push('_');
        }
        words.extend(if c.is_alphabetic() { c.to_lowercase().collect::<Vec<_>>() } else { vec!['_'] });
        before = c;
    }
    words
}

/// The rule that a column's name and type suggest, and a remark behind it.
pub(crate) fn proposal(column: &Column, catalog: &Catalog) -> (&'static str, String) {
    let (family, _) = family(&column.data_type, catalog);
    let of_type = format!("  # {}", column.data_type.text);
    match (kind_of_name(column.name.as_str()), family) {
        (Some(PersonalKind::Birthday), Family::Date) => ("{date: year}", of_type),
        (Some(kind), Family::Text(_)) if kind != PersonalKind::Birthday => (kind.word(), of_type),
        (_, Family::Address) => ("ip", of_type),
        (_, Family::Json) => ("null", format!("{of_type}: or `{{json: {{\"$.path\": …}}}}`")),
        (_, Family::Text(_)) => ("keep", format!("{of_type}: look at its values first")),
        _ => ("keep", of_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_speak_of_kinds_in_whole_words() {
        for (name, kind) in [
            ("email", Some(PersonalKind::Email)),
            ("workEmail", Some(PersonalKind::Email)),
            ("customer_phone_2", Some(PersonalKind::Phone)),
            ("prenom", Some(PersonalKind::FirstName)),
            ("company_name", Some(PersonalKind::Company)),
            ("ip_address", Some(PersonalKind::Ip)),
            ("shipping_address", Some(PersonalKind::Street)),
            ("zipper", None),
            ("created_at", None),
            ("description", Some(PersonalKind::FreeText)),
            ("skip", None),
        ] {
            assert_eq!(kind_of_name(name), kind, "{name}");
        }
    }
}
