//! How often what was done.

/// What became of the messages that clients sent, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that came.
    pub queries: u64,
    /// Answered from what is known here, whether that is a name or that there is none.
    pub local: u64,
    /// Answered from what another name server had said before.
    pub cached: u64,
    /// Passed on, or joined with one that was.
    pub forwarded: u64,
    /// Of those, the ones that no name server answered.
    pub failed: u64,
    /// Refused: from outside of the lab, or of a kind that nobody gets.
    pub refused: u64,
    /// Not answered, because their sender asks too often.
    pub limited: u64,
    /// Not answered with a name, because they are no question.
    pub malformed: u64,
}
