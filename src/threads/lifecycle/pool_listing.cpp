#include "threads/lifecycle/pool_listing.hpp"

#include <mutex>

#include "threads/lifecycle/fork_guarded.hpp"
#include "threads/lifecycle/pool_lifecycle.hpp"

namespace numpool::threads {
namespace {

/// All listings, the newest first. Never destroyed: pools come and go while the process exits.
class Listings final : public ForkGuarded {
  public:
    Listings() { guard(Rank::listings); }

    std::mutex mutex;
    std::list<PoolListing*> all;

  private:
    void lock_for_fork() noexcept override { mutex.lock(); }
    void unlock_in_parent() noexcept override { mutex.unlock(); }
    void unlock_in_child() noexcept override { mutex.unlock(); }
};

Listings& listings() {
    static auto* const all = new Listings;
    return *all;
}

}  // namespace

PoolListing::PoolListing(PoolLifecycle& pool) : pool_{pool} {
    const std::lock_guard lock{listings().mutex};
    place_ = listings().all.insert(listings().all.begin(), this);
}

PoolListing::~PoolListing() {
    const std::lock_guard lock{listings().mutex};
    listings().all.erase(place_);
}

PoolHandle<Pool> PoolListing::find(const std::byte* address) noexcept {
    PoolLifecycle* found = nullptr;
    {
        // Under this lock no listed pool is deleted.
        const std::lock_guard lock{listings().mutex};
        for (PoolListing* const listing : listings().all) {
            if (!listing->pool_.add_handle_if_owns(address)) continue;
            found = &listing->pool_;
            break;
        }
    }
    if (found == nullptr) return {};
    PoolHandle<Pool> handle{found};
    found->drop_handle();
    return handle;
}

}  // namespace numpool::threads
