//! What a third party that enforces for itself (a PEP) reports of its caller: chain, proof and the signed components.
//!
//! Source: contracts/spec/gateway.md#authorize.

use super::asked::{Asked, Call, call, each, reported, shape};
use crate::contract::Surface;
use crate::frame::Request;
use crate::json::{self, Fields, Value};
use crate::proof::{Body, Parts};
use crate::{Code, Error};

/// One reported call. Tool and arguments are the PEP's claim; the caller signed only the digest of its own body.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the PEP says the call is.
    pub call: Call,
    /// The caller's chain.
    pub capability: String,
    /// The caller's `signature-input`.
    pub signature_input: String,
    /// The caller's `signature`.
    pub signature: String,
    /// AuthZEN names the subject; it must be the leaf's.
    pub subject: Option<String>,
    components: Components,
}

/// Signed components, verbatim.
#[derive(Clone, Debug)]
struct Components {
    method: String,
    target_uri: String,
    content_digest: String,
    mcp_session_id: Option<String>,
    mcp_method: Option<String>,
    mcp_name: Option<String>,
    last_event_id: Option<String>,
    idempotency_key: Option<String>,
}

impl Report {
    /// Where the caller sent its request.
    #[must_use]
    pub fn target_uri(&self) -> &str {
        &self.components.target_uri
    }

    /// What the caller's proof binds. Only a chain is accepted here, no ticket.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        let components = &self.components;
        Parts {
            method: &components.method,
            target_uri: &components.target_uri,
            content_digest: Some(&components.content_digest),
            capability: Some(&self.capability),
            ticket: None,
            mcp_session_id: components.mcp_session_id.as_deref(),
            mcp_method: components.mcp_method.as_deref(),
            mcp_name: components.mcp_name.as_deref(),
            last_event_id: components.last_event_id.as_deref(),
            idempotency_key: components.idempotency_key.as_deref(),
            body: Body::Elsewhere,
        }
    }
}

/// Reads `{"talos": {…}}` beside a call that was read already.
///
/// # Errors
/// `MALFORMED` with the member at fault.
pub(super) fn report(context: &Value, call: Call) -> Result<Report, Error> {
    let mut fields = Fields::new(context)?;
    let talos = fields.value("talos")?;
    fields.finish()?;
    let mut fields = Fields::new(talos)?;
    let report = proof(&mut fields, call, None)?;
    fields.finish()?;
    Ok(report)
}

fn proof(fields: &mut Fields<'_>, call: Call, subject: Option<String>) -> Result<Report, Error> {
    Ok(Report {
        call,
        subject,
        capability: fields.str("capability")?.to_owned(),
        signature_input: fields.str("signature_input")?.to_owned(),
        signature: fields.str("signature")?.to_owned(),
        components: components(fields.value("components")?)?,
    })
}

fn components(value: &Value) -> Result<Components, Error> {
    let mut fields = Fields::new(value)?;
    let opt = |fields: &mut Fields<'_>, name: &str| fields.opt_str(name).map(|text| text.map(str::to_owned));
    let components = Components {
        method: fields.str("@method")?.to_owned(),
        target_uri: fields.str("@target-uri")?.to_owned(),
        content_digest: fields.str("content-digest")?.to_owned(),
        mcp_session_id: opt(&mut fields, "mcp-session-id")?,
        mcp_method: opt(&mut fields, "mcp-method")?,
        mcp_name: opt(&mut fields, "mcp-name")?,
        last_event_id: opt(&mut fields, "last-event-id")?,
        idempotency_key: opt(&mut fields, "idempotency-key")?,
    };
    fields.finish()?;
    Ok(components)
}

/// AuthZEN 1.0: one evaluation, or several that share defaults. Members that it has and we do not need are not read.
///
/// # Errors
/// As [`super::asked::read`]; `contract.invalid` when resource or action are not what `context.talos` says.
pub(super) fn authzen(request: &Request<'_>, surface: &Surface) -> Result<Asked, Error> {
    let body = json::parse(request.body)?;
    if body.as_obj().is_none() {
        return Err(shape(Error::malformed("not an object")));
    }
    if surface.name == "authzen.evaluation" {
        let report = evaluation(&body, &Value::Null).map_err(shape)?;
        return reported(surface, vec![report], false);
    }
    let semantic = body.get("options").and_then(|options| options.get("evaluations_semantic"));
    if semantic.is_some_and(|semantic| semantic.as_str() != Some("execute_all")) {
        return Err(shape(Error::malformed("another semantic than execute_all").at("options")));
    }
    let items = body.get("evaluations").and_then(Value::as_arr);
    let items = items.ok_or_else(|| shape(Error::malformed("not an array").at("evaluations")))?;
    let reports = each(items, |item| evaluation(item, &body))?;
    reported(surface, reports, true)
}

/// One evaluation; a member that it lacks is taken from `defaults`.
fn evaluation(item: &Value, defaults: &Value) -> Result<Report, Error> {
    let member = |name: &'static str| {
        let found = item.get(name).or_else(|| defaults.get(name));
        found.ok_or_else(|| Error::malformed("member missing").at(name))
    };
    let text = |name: &'static str, of: &str| {
        let text = member(name)?.get(of).and_then(Value::as_str);
        text.ok_or_else(|| Error::malformed("text missing").at(name))
    };
    let talos =
        member("context")?.get("talos").ok_or_else(|| Error::malformed("member missing").at("context.talos"))?;
    let mut fields = Fields::new(talos)?;
    let call = call(&mut fields)?;
    text("subject", "type")?;
    text("resource", "type")?;
    if text("resource", "id")? != call.tool {
        return Err(Error::malformed("another tool than the one reported").at("resource"));
    }
    if text("action", "name")? != call.action {
        return Err(Error::malformed("another action than the one reported").at("action"));
    }
    let report = proof(&mut fields, call, Some(text("subject", "id")?.to_owned()))?;
    fields.finish()?;
    Ok(report)
}

/// AuthZEN's subject must be the chain's leaf.
///
/// # Errors
/// `contract.invalid`.
pub(super) fn check_subject(report: &Report, sub: &str) -> Result<(), Error> {
    if report.subject.as_deref().is_none_or(|subject| subject == sub) {
        Ok(())
    } else {
        Err(Error::new(Code::ContractInvalid, "another subject than the leaf's").at("subject"))
    }
}
