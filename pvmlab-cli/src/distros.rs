//! Vendors' cloud images: which there are, where they come from, and how they come here.
//!
//! - `catalogue`: what could be had, from `builtin.yaml` and a person's `distros.yaml`; `location`, `mirror`: where it is
//! - `place`: where a part of an image is, which no catalogue lists
//! - `checksums`: what vendors publish to compare with
//! - `http`, `proxy`: the network; `download`, `resume`: one file of it, whole and compared, or gone on with
//! - `record`: what was downloaded; `pull`: all of that for each image that is asked for
//!
//! What is not here: what an image is made of. `images` makes one of a file.

mod builtin;
mod catalogue;
mod checksums;
mod download;
mod http;
mod location;
mod mirror;
mod place;
mod proxy;
mod pull;
mod record;
mod resume;

pub(crate) use builtin::DEFAULT;
pub(crate) use catalogue::{Catalogue, Source, Verification};
pub(crate) use checksums::Digest;
pub(crate) use location::{Location, NotLocation};
pub(crate) use place::Place;
pub(crate) use pull::{Fetcher, Order, Pulled};
pub(crate) use record::{Record, all};
