//! The runtime with real networks, with small ones, and with files that are not served.

#[cfg(test)]
mod files;
#[cfg(test)]
mod networks;
#[cfg(test)]
mod texts;
#[cfg(test)]
mod tiny;
