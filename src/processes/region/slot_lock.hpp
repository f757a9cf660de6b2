#pragma once

namespace numpool::processes {

/// Locks on bytes of shared memory that the kernel drops when the process ends, however it ends.
///
/// They belong to an open file description of their own, not to a process number, which the system
/// uses again. A forked child shares the description: see Participant::prepare_fork.
class SlotLock {
  public:
    /// Opens the file behind `fd` once more. `opened` is false where no descriptor is left.
    explicit SlotLock(int fd) noexcept;
    SlotLock(SlotLock&& other) noexcept : fd_{other.fd_} { other.fd_ = -1; }
    SlotLock& operator=(SlotLock&& other) noexcept;
    ~SlotLock();

    bool opened() const noexcept { return fd_ >= 0; }
    /// False where another process has locked the slot. Succeeds where this process has.
    bool try_lock(unsigned slot) noexcept;
    void unlock(unsigned slot) noexcept;
    /// Whether another process has locked the slot.
    bool locked_elsewhere(unsigned slot) const noexcept;

  private:
    int fd_ = -1;
};

}  // namespace numpool::processes
