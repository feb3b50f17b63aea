//! People.

use crate::id::UserId;
use crate::time::UnixSeconds;

/// A person as this program sees them; what a plugin sees is less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// What to call them.
    pub name: String,
    /// Handle.
    pub username: Option<String>,
    /// Address; a permission of its own.
    pub email: String,
    /// Upstream's text.
    pub role: String,
    /// Picture.
    pub profile_image_url: Option<String>,
    /// About them.
    pub bio: Option<String>,
    /// IANA name.
    pub timezone: Option<String>,
    /// Status.
    pub status_emoji: Option<String>,
    /// Status.
    pub status_message: Option<String>,
    /// Last seen.
    pub last_active_at: UnixSeconds,
    /// Made.
    pub created_at: UnixSeconds,
    /// Changed.
    pub updated_at: UnixSeconds,
}
