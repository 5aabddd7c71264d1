//! The schema of every type and version, as text inside the program: it needs no files to run.
//!
//! The list below names what lies in `schemas/events`; tests keep it in step with the kinds.

use crate::kind::Kind;

/// One schema, as it lies in the repository.
#[derive(Debug)]
pub(super) struct File {
    pub(super) kind: Kind,
    pub(super) version: u32,
    pub(super) text: &'static str,
    /// Data that was valid when the version was published; it must stay readable for ever.
    #[cfg(test)]
    pub(super) golden: &'static str,
}

macro_rules! files {
    ($($kind:ident $name:literal $version:literal;)+) => {
        /// Every file, in the order of the catalogue, older versions first.
        pub(super) const FILES: &[File] = &[
            $(File {
                kind: Kind::$kind,
                version: $version,
                text: include_str!(
                    concat!("../../../../schemas/events/", $name, ".v", $version, ".json")
                ),
                #[cfg(test)]
                golden: include_str!(
                    concat!("../../../../schemas/events/golden/", $name, ".v", $version, ".json")
                ),
            },)+
        ];
    };
}

files! {
    CustomerRegistered "customer.registered" 1;
    CustomerIdentified "customer.identified" 1;
    CustomerMerged "customer.merged" 1;
    CustomerUnmerged "customer.unmerged" 1;
    CustomerTraitNoted "customer.trait_noted" 1;
    CustomerConsentChanged "customer.consent_changed" 1;
    CustomerAssigned "customer.assigned" 1;
    CustomerErased "customer.erased" 1;
    InteractionGreeted "interaction.greeted" 1;
    InteractionInquired "interaction.inquired" 1;
    InteractionMessaged "interaction.messaged" 1;
    InteractionAnswered "interaction.answered" 1;
    InteractionRecommended "interaction.recommended" 1;
    InteractionContacted "interaction.contacted" 1;
    InteractionPlanned "interaction.planned" 1;
    InteractionArrived "interaction.arrived" 1;
    InteractionServed "interaction.served" 1;
    InteractionThanked "interaction.thanked" 1;
    InteractionDeparted "interaction.departed" 1;
    InteractionNoted "interaction.noted" 1;
    BookingRequested "booking.requested" 1;
    BookingHeld "booking.held" 1;
    BookingConfirmed "booking.confirmed" 1;
    BookingDeclined "booking.declined" 1;
    BookingWaitlisted "booking.waitlisted" 1;
    BookingOffered "booking.offered" 1;
    BookingChanged "booking.changed" 1;
    BookingCancelled "booking.cancelled" 1;
    BookingConflictDetected "booking.conflict_detected" 1;
    BookingFulfilled "booking.fulfilled" 1;
    PaymentRecorded "payment.recorded" 1;
    PurchaseRecorded "purchase.recorded" 1;
    ReferralRecorded "referral.recorded" 1;
    RewardPosted "reward.posted" 1;
    LoyaltyTierChanged "loyalty.tier_changed" 1;
    ComplaintRaised "complaint.raised" 1;
    ComplaintEscalated "complaint.escalated" 1;
    ComplaintResolved "complaint.resolved" 1;
    ComplaintReopened "complaint.reopened" 1;
    PromiseMade "promise.made" 1;
    PromiseSettled "promise.settled" 1;
    FeedbackRequested "feedback.requested" 1;
    FeedbackRequested "feedback.requested" 2;
    FeedbackReceived "feedback.received" 1;
    ImprovementProposed "improvement.proposed" 1;
    ImprovementMade "improvement.made" 1;
    ImprovementAssessed "improvement.assessed" 1;
    AlertRaised "alert.raised" 1;
    AlertAcknowledged "alert.acknowledged" 1;
    AlertSnoozed "alert.snoozed" 1;
    AlertEscalated "alert.escalated" 1;
    AlertResolved "alert.resolved" 1;
    AlertWithdrawn "alert.withdrawn" 1;
    PolicyPublished "policy.published" 1;
}
