//! Work beside the call and after it.

use std::future::Future;

/// Runs `work` beside this call. It may go on after the result has been delivered, within the plugin's `background` limits.
///
/// It begins when the current call next waits or ends. Work that only computes should wait for something first, such as a host call:
/// a result is delivered at the first wait after it was returned.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    wit_bindgen::spawn_local(work);
}
