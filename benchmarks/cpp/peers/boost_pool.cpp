#include <boost/pool/pool.hpp>
#include <memory>

#include "peer_main.hpp"

namespace {

/// One size at a time, inline, no thread safety: what a program gets that knows all its sizes.
struct BoostPool {
    static constexpr bool any_size = false;
    static constexpr bool any_thread = false;

    void* allocate(std::size_t size) {
        if (size != size_) {
            size_ = size;
            pool_ = std::make_unique<boost::pool<>>(size);
        }
        return pool_->malloc();
    }
    void release(void* block, std::size_t) { pool_->free(block); }
    void trim() { pool_->release_memory(); }

  private:
    std::size_t size_ = 0;
    std::unique_ptr<boost::pool<>> pool_;
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<BoostPool>(count, arguments);
}
