//! Bytes as text: what stands for a hash in ledgers, histories and masked values.

/// Bytes as PostgreSQL's `encode(…, 'hex')` writes them: `c0ffee`.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hexadecimal(bytes, bytes.len() * 2, &mut text);
    text
}

/// The first `length` hexadecimal digits of `bytes`. A mask does this for every row.
pub(crate) fn push_hexadecimal(bytes: &[u8], length: usize, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut length = length.min(bytes.len() * 2);
    for chunk in bytes.chunks(32) {
        let mut text = [0_u8; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(chunk) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        let here = length.min(chunk.len() * 2);
        out.push_str(std::str::from_utf8(&text[..here]).unwrap_or_default());
        length -= here;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_a_byte_however_many() {
        assert_eq!(hexadecimal(&[0, 9, 10, 0xa0, 0xff]), "00090aa0ff");
        assert_eq!(hexadecimal(&[0xab; 48]), "ab".repeat(48));
        let mut text = String::from("x");
        push_hexadecimal(&[0x12; 40], 67, &mut text);
        assert_eq!(text, format!("x{}1", "12".repeat(33)));
    }
}
