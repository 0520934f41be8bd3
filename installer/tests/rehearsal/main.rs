//! Whole installations as an ordinary process, on a file in the disk's place, from a server that can misbehave.

mod image;
mod lab;
mod server;

mod disk;
mod occupied;
mod program;
mod reports;
mod table;
mod transfer;
