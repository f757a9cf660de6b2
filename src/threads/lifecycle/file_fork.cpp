#include "threads/lifecycle/file_fork.hpp"

#include <memory>

#include "pages/range/file_pages.hpp"
#include "threads/lifecycle/fork_guarded.hpp"
#include "threads/lifecycle/range_fork.hpp"

namespace numpool::threads {
namespace {

class ForkedFilePages final : public pages::FilePages, private ForkGuarded {
  public:
    ForkedFilePages(const std::string& folder, bool forced) : FilePages{folder, forced} {
        guard_range_for_fork();
        guard(Rank::inner);
    }
    ~ForkedFilePages() override { unguard(); }

  private:
    void lock_for_fork() noexcept override { mutex().lock(); }
    void unlock_in_parent() noexcept override { mutex().unlock(); }
    void unlock_in_child() noexcept override {
        become_private();
        mutex().unlock();
    }
};

}  // namespace

pages::SourceHandle pages_in_file(const std::string& folder, bool forced) {
    return pages::SourceHandle{std::make_shared<ForkedFilePages>(folder, forced)};
}

}  // namespace numpool::threads
