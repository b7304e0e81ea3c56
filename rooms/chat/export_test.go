package chat

// New makes a room of the kind, for tests with other options.
var New = newChat
