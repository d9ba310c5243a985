//! Frames: a request as one buffer.
//!
//! Source: contracts/spec/encoding.md#frames.

use crate::{Code, Error};

/// The length that says: this field is absent.
const ABSENT: u32 = u32::MAX;

/// A request as the caller saw it, borrowed from its frame. Nothing in here was judged yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// Name of the surface document.
    pub surface: &'a str,
    /// HTTP method.
    pub method: &'a str,
    /// `origin + pathname + search`.
    pub target_uri: &'a str,
    /// The tenant of the path.
    pub tenant: &'a str,
    /// `<origin>/t/{tenant}`.
    pub aud: &'a str,
    /// The `{server}` of the path.
    pub server: Option<&'a str>,
    /// `talos-capability`.
    pub capability: Option<&'a str>,
    /// `talos-ticket`.
    pub ticket: Option<&'a str>,
    /// `signature-input`.
    pub signature_input: Option<&'a str>,
    /// `signature`.
    pub signature: Option<&'a str>,
    /// `content-digest`.
    pub content_digest: Option<&'a str>,
    /// `mcp-session-id`.
    pub mcp_session_id: Option<&'a str>,
    /// `mcp-method`.
    pub mcp_method: Option<&'a str>,
    /// `mcp-name`.
    pub mcp_name: Option<&'a str>,
    /// `last-event-id`.
    pub last_event_id: Option<&'a str>,
    /// `idempotency-key`.
    pub idempotency_key: Option<&'a str>,
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// When the head in force was signed; `None` when there is none.
    pub head_as_of_ms: Option<u64>,
    /// The body's bytes.
    pub body: &'a [u8],
}

fn refused(field: &str) -> Error {
    Error::new(Code::RequestMalformed, "not a frame of a request").at(field)
}

/// Appends one field.
pub(crate) fn put(frame: &mut Vec<u8>, field: Option<&[u8]>) {
    let length = field.map_or(ABSENT, |field| u32::try_from(field.len()).unwrap_or(ABSENT));
    frame.extend(length.to_le_bytes());
    frame.extend(field.unwrap_or_default());
}

/// Takes the fields of a frame one after another.
pub(crate) struct Fields<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn opt_bytes(&mut self, name: &str) -> Result<Option<&'a [u8]>, Error> {
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or_else(|| refused(name))?;
        let length = u32::from_le_bytes(*length);
        if length == ABSENT {
            self.rest = rest;
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| refused(name))?;
        let (bytes, rest) = rest.split_at_checked(length).ok_or_else(|| refused(name))?;
        self.rest = rest;
        Ok(Some(bytes))
    }

    pub(crate) fn opt_text(&mut self, name: &str) -> Result<Option<&'a str>, Error> {
        self.opt_bytes(name)?.map(core::str::from_utf8).transpose().map_err(|_| refused(name))
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<&'a str, Error> {
        self.opt_text(name)?.ok_or_else(|| refused(name))
    }

    pub(crate) fn opt_integer(&mut self, name: &str) -> Result<Option<u64>, Error> {
        let Some(bytes) = self.opt_bytes(name)? else {
            return Ok(None);
        };
        <[u8; 8]>::try_from(bytes).map(|bytes| Some(u64::from_le_bytes(bytes))).map_err(|_| refused(name))
    }
}

impl<'a> Request<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// `request.malformed` with the field that is missing, too long, not UTF-8 or not an integer, or `frame` for bytes after
    /// the last field.
    pub fn read(frame: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Fields { rest: frame };
        let request = Self {
            surface: fields.text("surface")?,
            method: fields.text("method")?,
            target_uri: fields.text("target_uri")?,
            tenant: fields.text("tenant")?,
            aud: fields.text("aud")?,
            server: fields.opt_text("server")?,
            capability: fields.opt_text("talos-capability")?,
            ticket: fields.opt_text("talos-ticket")?,
            signature_input: fields.opt_text("signature-input")?,
            signature: fields.opt_text("signature")?,
            content_digest: fields.opt_text("content-digest")?,
            mcp_session_id: fields.opt_text("mcp-session-id")?,
            mcp_method: fields.opt_text("mcp-method")?,
            mcp_name: fields.opt_text("mcp-name")?,
            last_event_id: fields.opt_text("last-event-id")?,
            idempotency_key: fields.opt_text("idempotency-key")?,
            now_ms: fields.opt_integer("now_ms")?.ok_or_else(|| refused("now_ms"))?,
            head_as_of_ms: fields.opt_integer("head_as_of_ms")?,
            body: fields.opt_bytes("body")?.ok_or_else(|| refused("body"))?,
        };
        if fields.rest.is_empty() { Ok(request) } else { Err(refused("frame")) }
    }

    /// The frame that reads as this request.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(256 + self.target_uri.len() + self.body.len());
        let text = |text: &'a str| Some(text.as_bytes());
        let now_ms = self.now_ms.to_le_bytes();
        let head_as_of_ms = self.head_as_of_ms.map(u64::to_le_bytes);
        for field in [
            text(self.surface),
            text(self.method),
            text(self.target_uri),
            text(self.tenant),
            text(self.aud),
            self.server.and_then(text),
            self.capability.and_then(text),
            self.ticket.and_then(text),
            self.signature_input.and_then(text),
            self.signature.and_then(text),
            self.content_digest.and_then(text),
            self.mcp_session_id.and_then(text),
            self.mcp_method.and_then(text),
            self.mcp_name.and_then(text),
            self.last_event_id.and_then(text),
            self.idempotency_key.and_then(text),
            Some(&now_ms[..]),
            head_as_of_ms.as_ref().map(|bytes| &bytes[..]),
            Some(self.body),
        ] {
            put(&mut frame, field);
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> Request<'static> {
        Request {
            surface: "mcp.post",
            method: "POST",
            target_uri: "https://talos.example/t/default/mcp/files",
            tenant: "default",
            aud: "https://talos.example/t/default",
            server: Some("files"),
            ticket: Some(""),
            now_ms: 1_800_000_000_000,
            head_as_of_ms: Some(7),
            body: b"{}",
            ..Request::default()
        }
    }

    #[test]
    fn goes_round_and_tells_empty_from_absent() {
        let frame = request().write();
        let read = Request::read(&frame).unwrap();
        assert_eq!(read, request());
        assert_eq!((read.ticket, read.capability), (Some(""), None));
    }

    #[test]
    fn a_byte_more_or_less_is_refused() {
        let frame = request().write();
        for length in 0..frame.len() {
            assert!(Request::read(&frame[..length]).is_err(), "{length}");
        }
        let mut longer = frame.clone();
        longer.push(0);
        assert_eq!(Request::read(&longer).unwrap_err().field.as_deref(), Some("frame"));
    }

    #[test]
    fn the_times_are_eight_bytes_and_texts_are_utf8() {
        let frame = request().write();
        let at = frame.windows(8).position(|bytes| bytes == 1_800_000_000_000_u64.to_le_bytes()).unwrap();
        let mut short = frame.clone();
        short[at - 4] = 7;
        assert!(Request::read(&short).is_err());
        let mut latin1 = frame;
        latin1[4] = 0xe9;
        assert_eq!(Request::read(&latin1).unwrap_err().field.as_deref(), Some("surface"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, cut in 0_usize..200, flip: u8) {
            let _ = Request::read(&bytes);
            let mut frame = request().write();
            if let Some(byte) = frame.get_mut(cut) {
                *byte ^= flip;
            }
            let _ = Request::read(&frame);
        }
    }
}
