//! Canonical JSON: one value, one sequence of bytes.
//!
//! Keys sorted by their UTF-8 bytes, no white space, integers only, strings with JSON's shortest escapes: RFC 8785 for
//! the values that the record uses (its keys are ASCII, so both orders of keys agree). Refuses fractions, because two
//! programs write them in two ways; amounts are integers or decimal text.

use serde::Serialize;
use serde_json::Value;

/// A value that has no canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number with a fraction or beyond 64 bits.
    #[error("{0} is no integer; canonical JSON has only integers")]
    Fraction(String),
    /// Something that JSON cannot hold.
    #[error("not expressible as JSON: {0}")]
    NotJson(String),
}

/// The canonical bytes of a value.
///
/// # Errors
/// [`CanonicalError`].
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(|e| CanonicalError::NotJson(e.to_string()))?;
    let mut bytes = Vec::new();
    write(&value, &mut bytes)?;
    Ok(bytes)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Number(number) => return Err(CanonicalError::Fraction(number.to_string())),
        Value::String(text) => string(text, out)?,
        Value::Array(list) => {
            out.push(b'[');
            for (index, inner) in list.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(inner, out)?;
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push(b'{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(key, out)?;
                out.push(b':');
                write(&map[key], out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn string(text: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    serde_json::to_writer(out, text).map_err(|e| CanonicalError::NotJson(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_value_has_one_form() {
        let value = json!({"b": [1, -2, true, null], "a": {"z": "é\n\"", "y": ""}, "A": 18_446_744_073_709_551_615u64});
        let bytes = canonical(&value).unwrap();
        let text =
            "{\"A\":18446744073709551615,\"a\":{\"y\":\"\",\"z\":\"é\\n\\\"\"},\"b\":[1,-2,true,null]}";
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), text);
        let again: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(canonical(&again).unwrap(), bytes);
        assert!(matches!(canonical(&json!(0.5)), Err(CanonicalError::Fraction(_))));
    }
}
