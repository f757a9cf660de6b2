#include "base/gate/heavy_barrier.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>

#include "testing.hpp"

namespace {

using Clock = std::chrono::steady_clock;

/// Forbids this process to call membarrier.
bool forbid_membarrier() {
    std::array<sock_filter, 4> code{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog program{code.size(), code.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

TEST("where membarrier is forbidden the barrier sleeps its full time, despite signals") {
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGALRM, [](int) {});
        const itimerval often{{0, 300}, {0, 300}};
        setitimer(ITIMER_REAL, &often, nullptr);
        if (!forbid_membarrier()) _exit(2);
        const auto start = Clock::now();
        numpool::heavy_barrier();
        _exit(Clock::now() - start >= std::chrono::milliseconds{2} ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    // A machine without seccomp cannot run this test.
    CHECK(status == 0 || WEXITSTATUS(status) == 2);
}
