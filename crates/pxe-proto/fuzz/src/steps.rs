//! An input as a list of things that happen, one after the other.

/// One thing that happens: what, and with which bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    /// What happens, as the target has it.
    pub(crate) what: u8,
    /// What comes with it.
    pub(crate) bytes: &'a [u8],
}

/// Reads an input: for each step a byte that says what, two that say how long its bytes are, and those. Of a step that runs past
/// the end there is what there is. So a fuzzer changes one message without moving the others.
pub(crate) fn steps(mut input: &[u8]) -> impl Iterator<Item = Step<'_>> {
    std::iter::from_fn(move || {
        let ([what, high, low], rest) = input.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (bytes, rest) = rest.split_at(length);
        input = rest;
        Some(Step { what: *what, bytes })
    })
}
