//! Where a machine's boot stands, in a sentence, and what to do about it.

use jiff::Timestamp;
use lab_model::{Machine, Stage};

use super::Timeline;

/// What is known of a machine beside its events.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Its definition.
    pub machine: Option<&'a Machine>,
    /// Whether its image is there to be installed; `true` for a machine without image.
    pub image_available: bool,
}

/// Where a boot stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The last stage reached; `None`: the machine was never seen.
    pub stage: Option<Stage>,
    /// What happened, in one sentence.
    pub sentence: String,
    /// What to do, where there is something to do.
    pub hint: Option<String>,
}

/// Says where a machine's latest boot stands, and why it got no further.
pub fn diagnose(timeline: Option<&Timeline>, _circumstances: Circumstances<'_>, _now: Timestamp) -> Diagnosis {
    let stage = timeline.and_then(Timeline::latest).and_then(|attempt| attempt.stage());
    Diagnosis { stage, sentence: String::new(), hint: None }
}
