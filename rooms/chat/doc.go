// Package chat is a kind of room that people talk in: messages with history, editing and
// deleting one's own, typing, a topic, slow mode, and who is here. It speaks the session
// protocol; importing it registers the kind "chat".
//
// # Events
//
// A client publishes, and the room keeps and tells everybody:
//
//	message  {"text":"hi"}             1 to 4,000 characters, at most 16 KiB
//	edit     {"offset":7,"text":"ho"}  one's own message
//	delete   {"offset":7}              one's own message; anybody's for moderators
//	topic    {"text":"..."}            at most 200 characters; owner and moderators
//	slow     {"seconds":30}            0 to 3,600; owner and moderators
//
// In history an edited message stands as {"text":...,"edited":time,"edit":offset of the newest
// edit} and a deleted one as {"deleted":true}; edits that a newer edit or a deletion has
// overtaken stand as {"offset":7} without their text. So what was deleted is nowhere in
// the room any more.
//
// The signal "typing" (true or false) is relayed. The request "state" and the welcome say
// {"topic","topicBy","slow","owner","role"}; role is "owner", "moderator" or "member".
//
// The owner is the first user who entered the room. A moderator is a user whose credential
// has the claim "role":"moderator".
//
// In slow mode everybody but the owner and moderators waits between two messages; too early
// a message gets the retryable error rate_limited with the time that is left.
package chat
