//! How the options of a reply are laid out in a message of limited length.

use super::guard;
use super::options::{Options, code};

/// Where options are: behind the header, and in the fields of the header that nothing else needs.
#[derive(Debug, Default)]
pub(super) struct Layout {
    main: Vec<u8>,
    file: Vec<u8>,
    sname: Vec<u8>,
}

/// Which of the header's two names nothing else needs; RFC 2131 §2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spare {
    pub(super) file: bool,
}

/// The overload option itself (RFC 2132 §9.3).
const OVERLOAD: usize = 3;

impl Layout {
    /// Finds a place for each option, most important first; what has none is left out.
    ///
    /// `room` is what may come behind the header, without the end. The header's fields are used only where that is too
    /// little (RFC 2131 §4.1): some firmware does not look there.
    pub(super) fn new(options: &Options, room: usize, spare: Spare) -> Self {
        let mut layout = Self::default();
        if options.len() <= room {
            options.iter().for_each(|option| option.write(&mut layout.main));
            return layout;
        }
        // One byte of each field is the end of its options.
        let file = if spare.file { guard::FILE.len() - 1 } else { 0 };
        let sname = guard::SNAME.len() - 1;
        for option in options.iter() {
            let areas = [
                (&mut layout.main, room.saturating_sub(OVERLOAD)),
                (&mut layout.file, file),
                (&mut layout.sname, sname),
            ];
            if let Some((area, _)) = areas.into_iter().find(|(area, most)| area.len() + option.len() <= *most) {
                option.write(area);
            }
        }
        let overload = u8::from(!layout.file.is_empty()) + 2 * u8::from(!layout.sname.is_empty());
        if overload > 0 {
            // Early, so that whoever reads on from there knows.
            let behind_type = 3.min(layout.main.len());
            layout.main.splice(behind_type..behind_type, [code::OVERLOAD, 1, overload]);
        }
        layout
    }

    /// Writes the options into the message, which is the header yet.
    pub(super) fn write(&self, message: &mut Vec<u8>) {
        for (field, area) in [(guard::FILE, &self.file), (guard::SNAME, &self.sname)] {
            if !area.is_empty() {
                let field = &mut message[field];
                field[..area.len()].copy_from_slice(area);
                field[area.len()] = code::END;
            }
        }
        message.extend_from_slice(&self.main);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_behind_the_header() {
        let layout = Layout::new(&options(&[4, 20]), 28, Spare { file: true });

        assert_eq!((layout.main.len(), layout.file.len(), layout.sname.len()), (28, 0, 0));
    }

    #[test]
    fn what_does_not_is_where_there_is_room_and_else_nowhere() {
        let layout = Layout::new(&options(&[1, 20, 125, 60, 61, 2]), 27, Spare { file: true });
        assert_eq!((layout.main.len(), layout.file.len(), layout.sname.len()), (3 + 3 + 4, 22 + 62, 63));
        assert_eq!(layout.main[..6], [100, 1, 0, code::OVERLOAD, 1, 3]);

        let layout = Layout::new(&options(&[1, 20, 125, 60, 61, 2]), 28, Spare { file: false });
        assert_eq!((layout.main.len(), layout.file.len(), layout.sname.len()), (3 + 3 + 22, 0, 62));
        assert_eq!(layout.main[..6], [100, 1, 0, code::OVERLOAD, 1, 2]);
    }

    /// Options with codes from 100 on, with data of these lengths.
    fn options(lengths: &[usize]) -> Options {
        let mut options = Options::default();
        for (code, length) in (100..).zip(lengths) {
            options.push(code, &vec![0; *length]);
        }
        options
    }
}
