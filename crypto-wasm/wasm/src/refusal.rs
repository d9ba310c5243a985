//! How a refusal crosses into JavaScript.

use talos_core::error::Refusal;
use talos_core::json::{self, Value};
use talos_core::{Code, Error};
use wasm_bindgen::JsValue;
use zeroize::Zeroizing;

/// What every export gives.
pub type Answer<T> = Result<T, JsValue>;

/// `CODE {"detail":…,"field":…}`.
pub fn refusal(error: Error) -> String {
    let index = |index: usize| Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
    let Refusal { code, field, link, grant, detail } = error.into_refusal();
    let members = [
        Some(("detail", Value::str(detail))),
        field.map(|field| ("field", Value::Str(field))),
        link.map(|link| ("link", index(link))),
        grant.map(|grant| ("grant", index(grant))),
    ];
    let detail = json::print(&Value::obj(members.into_iter().flatten()));
    format!("{} {detail}", code.as_str())
}

/// As [`refusal`], to be thrown.
pub fn refuse(error: Error) -> JsValue {
    JsValue::from_str(&refusal(error))
}

/// Lifts the core's results.
pub trait OrRefuse<T> {
    /// The value, or the refusal as JavaScript sees it.
    fn or_refuse(self) -> Answer<T>;
}

impl<T> OrRefuse<T> for Result<T, Error> {
    fn or_refuse(self) -> Answer<T> {
        self.map_err(refuse)
    }
}

/// Bytes of a fixed length that JavaScript handed over; another length is a defect of our own wrappers' caller.
pub fn fixed<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::malformed("bytes of another length").at(what))
}

/// A secret of 32 bytes. The memory that it came in is overwritten too.
pub fn secret(bytes: Vec<u8>, what: &'static str) -> Result<Zeroizing<[u8; 32]>, Error> {
    let bytes = Zeroizing::new(bytes);
    fixed(&bytes, what).map(Zeroizing::new)
}

/// JSON that our own wrappers wrote.
pub fn object(text: &str) -> Result<Value, Error> {
    json::parse(text.as_bytes())
}

/// A required text member of an object.
pub fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, Error> {
    value.get(name).and_then(Value::as_str).ok_or_else(|| Error::new(Code::Malformed, "text missing").at(name))
}
