//! `Signature-Input`: printed by one rule, and read only in what that rule prints.

use super::parts::Component;
use super::{Credential, Form, Params, invalid};
use crate::contract::limits::{NONCE_BYTES, PROOF_LIFE_SECONDS};
use crate::structured::parse_integer;
use crate::{Error, b64};

/// The inner list with its parameters, as it stands after `talos=` and in the last line of the base.
pub(super) fn signature_params(components: &[Component<'_>], form: Form, params: &Params) -> String {
    let Params { created, expires, nonce, keyid } = params;
    let mut out = String::with_capacity(384);
    for (index, (name, _)) in components.iter().enumerate() {
        out.push_str(if index == 0 { "(\"" } else { " \"" });
        out.push_str(name);
        out.push('"');
    }
    out.push_str(");created=");
    out.push_str(&created.to_string());
    out.push_str(";expires=");
    out.push_str(&expires.to_string());
    for (label, text) in [(";nonce=\"", nonce.as_str()), ("\";keyid=\"", keyid), ("\";alg=\"", form.alg())] {
        out.push_str(label);
        out.push_str(text);
    }
    out.push_str("\";tag=\"talos-1\"");
    out
}

/// What follows `label` up to `until` in `rest`, and what follows that.
fn between<'a>(rest: &'a str, label: &str, until: char, field: &str) -> Result<(&'a str, &'a str), Error> {
    rest.strip_prefix(label).and_then(|rest| rest.split_once(until)).ok_or_else(|| invalid(field))
}

/// As [`between`], for what stands in quotes before a semicolon.
fn quoted<'a>(rest: &'a str, label: &str, field: &str) -> Result<(&'a str, &'a str), Error> {
    let (text, rest) = between(rest, label, '"', field)?;
    Ok((text, rest.strip_prefix(';').ok_or_else(|| invalid(field))?))
}

/// The parameters of a `Signature-Input` whose components are exactly `components`.
pub(super) fn parse_input(text: &str, components: &[Component<'_>], form: Form) -> Result<Params, Error> {
    let (list, rest) = between(text, "talos=(", ')', "signature-input")?;
    let mut covered = list.split(' ');
    for (name, _) in components {
        if covered.next().and_then(|item| item.strip_prefix('"')?.strip_suffix('"')) != Some(name) {
            return Err(invalid(name));
        }
    }
    if covered.next().is_some() {
        return Err(invalid("signature-input"));
    }
    let (created, rest) = between(rest, ";created=", ';', "created")?;
    let (expires, rest) = between(rest, "expires=", ';', "expires")?;
    let (nonce, rest) = quoted(rest, "nonce=\"", "nonce")?;
    let (keyid, rest) = quoted(rest, "keyid=\"", "keyid")?;
    let (alg, rest) = quoted(rest, "alg=\"", "alg")?;
    if alg != form.alg() {
        return Err(invalid("alg"));
    }
    if rest != "tag=\"talos-1\"" {
        return Err(invalid("tag"));
    }
    Ok(Params {
        created: parse_integer(created).ok_or_else(|| invalid("created"))?,
        expires: parse_integer(expires).ok_or_else(|| invalid("expires"))?,
        nonce: nonce.to_owned(),
        keyid: keyid.to_owned(),
    })
}

/// Whether `text` is base64url of exactly `bytes` bytes.
fn is_b64(text: &str, bytes: usize) -> bool {
    b64::decode(text).is_ok_and(|decoded| decoded.len() == bytes)
}

/// The rules on the parameters alone; gives the sequence number of a MAC.
pub(super) fn check_params(form: Form, params: &Params) -> Result<Option<u64>, Error> {
    let Params { created, expires, nonce, keyid } = params;
    if created >= expires || expires - created > PROOF_LIFE_SECONDS.unsigned_abs() {
        return Err(invalid("expires"));
    }
    match form {
        Form::Signed | Form::SessionSigned => {
            if !is_b64(nonce, NONCE_BYTES) {
                return Err(invalid("nonce"));
            }
            if !is_b64(keyid, 32) {
                return Err(invalid("keyid"));
            }
            Ok(None)
        }
        Form::SessionMac => {
            let sequence = parse_integer(nonce).ok_or_else(|| invalid("nonce"))?;
            if !is_b64(keyid, 16) {
                return Err(invalid("keyid"));
            }
            Ok(Some(sequence))
        }
    }
}

/// Which form a request with `credential` and this `Signature-Input` claims to have. The algorithm is read here only
/// to tell the two forms of a ticket apart; [`check`] prints it again and compares.
pub(super) fn claimed_form(credential: Credential<'_>, signature_input: &str) -> Form {
    match credential {
        Credential::Capability(_) => Form::Signed,
        Credential::Ticket(_) if signature_input.ends_with(";alg=\"hmac-sha256\";tag=\"talos-1\"") => Form::SessionMac,
        Credential::Ticket(_) => Form::SessionSigned,
    }
}
