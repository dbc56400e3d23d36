import Glibc

/// Ends the process, and what has been printed goes out; nothing that libraries have registered for the end runs.
///
/// Threads of theirs may still be at work then, and would use what is taken down: OpenSSL's locks, for one.
package func endProcess(_ status: Int32) -> Never {
    fflush(nil)
    _exit(status)
}
