//! A decision as one JSON object: the answer of `najda explain`, of `POST /v1/contacts`, and of `journal query --json`.

use serde::Serialize;

use crate::decision::{AssignedRecord, DecisionRecord, NeighbourRecord};

/// The answer, with the field names that scripts rely on.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionJson<'d> {
    pub id: &'d str,
    pub services: Vec<ServiceJson<'d>>,
    pub neighbours: Vec<NeighbourJson<'d>>,
    pub area: Option<&'d str>,
    pub incident_type: Option<&'d str>,
    pub priority: Option<u8>,
    pub rung: &'d str,
    pub discrepancies: Vec<&'d str>,
    pub reasons: Vec<&'d str>,
    pub lang: Option<String>,
    pub interpreter: bool,
    pub text: bool,
    pub quiet: bool,
    pub caller: Option<CallerJson<'d>>,
    pub test: bool,
    pub tables_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decide_ns: Option<u64>,
}

/// Who can be called back.
#[derive(Clone, Debug, Serialize)]
pub struct CallerJson<'d> {
    /// E.164.
    pub number: &'d str,
    /// Another contact of this line is the same caller.
    pub links: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct ServiceJson<'d> {
    pub service: &'d str,
    pub dispatcher: &'d str,
    pub area: Option<&'d str>,
    pub probability: Option<f64>,
    pub lead: bool,
    /// Who is asked, in order.
    pub chain: Vec<&'d str>,
}

#[derive(Clone, Debug, Serialize)]
pub struct NeighbourJson<'d> {
    pub area: Option<&'d str>,
    pub dispatcher: &'d str,
    pub service: &'d str,
    pub probability: Option<f64>,
    pub why: &'d str,
}

impl<'d> DecisionJson<'d> {
    pub fn new(id: &'d str, record: &'d DecisionRecord, decide_ns: Option<u64>) -> Self {
        Self {
            id,
            services: record.services.iter().map(ServiceJson::new).collect(),
            neighbours: record.neighbours.iter().map(NeighbourJson::new).collect(),
            area: record.area.as_ref().map(|area| area.as_str()),
            incident_type: record.incident_type.as_ref().map(|code| code.as_str()),
            priority: record.priority,
            rung: record.rung.as_str(),
            discrepancies: record.discrepancies.iter().map(|code| code.as_str()).collect(),
            reasons: record.reasons.iter().map(|reason| &**reason).collect(),
            lang: record.lang.map(|lang| String::from_utf8_lossy(&lang).into_owned()),
            interpreter: record.interpreter,
            text: record.text,
            quiet: record.quiet,
            caller: record.caller.as_ref().map(|caller| CallerJson { number: caller.number.as_str(), links: caller.links }),
            test: record.test,
            tables_version: record.tables.to_string(),
            decide_ns,
        }
    }

    /// One line of JSON. Plain fields and finite numbers always serialise; an empty object stands for the impossible.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

impl<'d> ServiceJson<'d> {
    fn new(record: &'d AssignedRecord) -> Self {
        Self {
            service: record.service.word(),
            dispatcher: record.dispatcher.as_str(),
            area: record.area.as_ref().map(|area| area.as_str()),
            probability: record.probability.map(|ppm| ppm.as_f64()),
            lead: record.lead,
            chain: record.chain.iter().map(|id| id.as_str()).collect(),
        }
    }
}

impl<'d> NeighbourJson<'d> {
    fn new(record: &'d NeighbourRecord) -> Self {
        Self {
            area: record.area.as_ref().map(|area| area.as_str()),
            dispatcher: record.dispatcher.as_str(),
            service: record.service.word(),
            probability: record.probability.map(|ppm| ppm.as_f64()),
            why: record.why.as_str(),
        }
    }
}
