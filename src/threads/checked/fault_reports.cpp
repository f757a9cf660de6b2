#include "threads/checked/fault_reports.hpp"

#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string_view>

#include "threads/checked/guard_table.hpp"
#include "threads/lifecycle/fork_guarded.hpp"

namespace numpool::threads {
namespace {

/// What the handler passes faults on to. It changes only while ours is not the process's handler.
struct sigaction handler_before{};
/// The thread that reports a fault, and one that is in the handler before. 0 if there is none.
constinit std::atomic<pid_t> reporting = 0;
constinit std::atomic<pid_t> passing = 0;

pid_t this_thread() noexcept {
    return static_cast<pid_t>(syscall(SYS_gettid));
}

/// A text that is put together and written without malloc, locks or locales.
class SignalSafeText {
  public:
    SignalSafeText& add(std::string_view text) noexcept {
        const std::size_t fits = std::min(text.size(), text_.size() - used_);
        std::memcpy(text_.data() + used_, text.data(), fits);
        used_ += fits;
        return *this;
    }
    SignalSafeText& add_number(std::ptrdiff_t number) noexcept { return add_digits(number, 10); }
    SignalSafeText& add_address(const void* address) noexcept {
        return add("0x").add_digits(reinterpret_cast<std::uintptr_t>(address), 16);
    }
    void write_to_standard_error() const noexcept {
        for (std::size_t done = 0; done < used_;) {
            const ssize_t written = write(STDERR_FILENO, text_.data() + done, used_ - done);
            if (written < 0 && errno != EINTR) return;
            done += written < 0 ? 0 : static_cast<std::size_t>(written);
        }
    }

  private:
    template <class Number>
    SignalSafeText& add_digits(Number number, int base) noexcept {
        std::array<char, 24> digits;
        const auto end = std::to_chars(digits.begin(), digits.end(), number, base).ptr;
        return add({digits.data(), static_cast<std::size_t>(end - digits.data())});
    }

    std::array<char, 4096> text_;
    std::size_t used_ = 0;
};

enum class Access { read, write, unknown };

Access access_of([[maybe_unused]] const void* context) noexcept {
#if defined(__x86_64__)
    constexpr greg_t wrote = 2;
    const auto* const machine = &static_cast<const ucontext_t*>(context)->uc_mcontext;
    return (machine->gregs[REG_ERR] & wrote) != 0 ? Access::write : Access::read;
#else
    return Access::unknown;
#endif
}

const char* text_of(Access access) noexcept {
    if (access == Access::unknown) return "an access ";
    return access == Access::write ? "a write " : "a read ";
}

void add_line(SignalSafeText& text, const char* event, SourceLine line) noexcept {
    text.add("\n  ").add(event).add(" ").add(line == nullptr ? "by native code" : line);
}

void report(const GuardedBlock& block, const std::byte* address, Access access) noexcept {
    const std::ptrdiff_t place = address - block.start();
    const auto bytes = static_cast<std::ptrdiff_t>(block.bytes());
    SignalSafeText text;
    text.add("numpool: ").add(block.pool()).add(": ").add(text_of(access));
    if (block.is_shut()) {
        text.add("of a block after its release");
    } else {
        text.add(place < 0 ? "before" : "past").add(" a block");
    }
    text.add(": byte ").add_number(place).add(" (a block of ").add_number(bytes);
    text.add(bytes == 1 ? " byte at " : " bytes at ").add_address(block.start()).add(")");
    add_line(text, "acquired", block.acquired());
    if (block.is_shut()) add_line(text, "released", block.released());
    text.add("\n");
    text.write_to_standard_error();
}

/// The access happens again when the handler returns, and then ends the process.
void end_by_default() noexcept {
    struct sigaction usual{};
    usual.sa_handler = SIG_DFL;
    sigaction(SIGSEGV, &usual, nullptr);
}

/// A signal that somebody sent, so that no access happens again.
bool was_sent(const siginfo_t* info) noexcept {
    return info->si_code <= 0;
}

void pass_on(siginfo_t* info, void* context) noexcept {
    const struct sigaction& before = handler_before;
    const bool has_handler = (before.sa_flags & SA_SIGINFO) != 0
                                 ? before.sa_sigaction != nullptr
                                 : before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN;
    const pid_t thread = this_thread();
    // A handler that was set after ours was first set may pass the signal back to it.
    if (!has_handler || passing.load() == thread) {
        if (before.sa_handler == SIG_IGN && was_sent(info)) return;
        end_by_default();
        if (was_sent(info)) raise(SIGSEGV);
        return;
    }
    pid_t nobody = 0;
    const bool noted = passing.compare_exchange_strong(nobody, thread);
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(SIGSEGV, info, context);
    } else {
        before.sa_handler(SIGSEGV);
    }
    if (noted) passing.store(0);
}

/// Another thread reports a fault, and then ends the process.
void wait_for_the_end() noexcept {
    for (int i = 0; i < 100; ++i) {
        const timespec pause{.tv_sec = 0, .tv_nsec = 100'000'000};
        nanosleep(&pause, nullptr);
    }
}

void handle(int, siginfo_t* info, void* context) {
    const int error = errno;
    const GuardedBlock* const block =
        was_sent(info) ? nullptr : GuardTable::instance().find(info->si_addr);
    if (block == nullptr) {
        pass_on(info, context);
        errno = error;
        return;
    }
    const pid_t thread = this_thread();
    pid_t nobody = 0;
    if (reporting.compare_exchange_strong(nobody, thread)) {
        report(*block, static_cast<const std::byte*>(info->si_addr), access_of(context));
    } else if (nobody != thread) {
        return wait_for_the_end();
    }
    pass_on(info, context);
    end_by_default();
}

struct sigaction ours() noexcept {
    struct sigaction action{};
    action.sa_sigaction = handle;
    // The handler before may raise the signal again, and may need the thread's other stack.
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    return action;
}

bool is_ours(const struct sigaction& action) noexcept {
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == handle;
}

/// When our handler is set.
class Installation final : private ForkGuarded {
  public:
    static Installation& instance() {
        static auto* const one = new Installation;
        return *one;
    }

    void add_user() noexcept {
        const std::lock_guard lock{mutex_};
        ++users_;
        set();
    }
    void renew() noexcept {
        const std::lock_guard lock{mutex_};
        set();
    }
    void remove_user() noexcept {
        const std::lock_guard lock{mutex_};
        struct sigaction now{};
        // The program may have set another handler since, which may still call ours.
        if (--users_ == 0 && sigaction(SIGSEGV, nullptr, &now) == 0 && is_ours(now))
            sigaction(SIGSEGV, &handler_before, nullptr);
    }

  private:
    Installation() { guard(Rank::inner); }

    void set() noexcept {
        struct sigaction now{};
        if (sigaction(SIGSEGV, nullptr, &now) != 0 || is_ours(now)) return;
        handler_before = now;
        const struct sigaction action = ours();
        sigaction(SIGSEGV, &action, nullptr);
    }

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    std::mutex mutex_;
    std::size_t users_ = 0;
};

}  // namespace

FaultReports::FaultReports() {
    GuardTable::instance();  // The handler must not make it.
    Installation::instance().add_user();
}

FaultReports::~FaultReports() {
    Installation::instance().remove_user();
}

void FaultReports::renew() noexcept {
    Installation::instance().renew();
}

}  // namespace numpool::threads
