#include <cstdlib>

#include "peer_main.hpp"

namespace {

/// The limit: a bare free list of one size, inline, that checks nothing and never gives back.
struct Limit {
    static constexpr bool any_size = false;
    static constexpr bool any_thread = false;

    void* allocate(std::size_t size) {
        if (size != size_) {
            size_ = size;
            free_ = nullptr;
        }
        if (free_ == nullptr) [[unlikely]]
            return std::malloc(size);
        Link* const block = free_;
        free_ = block->next;
        return block;
    }
    void release(void* block, std::size_t) {
        auto* const link = static_cast<Link*>(block);
        link->next = free_;
        free_ = link;
    }
    void trim() {}

  private:
    struct Link {
        Link* next;
    };
    Link* free_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<Limit>(count, arguments);
}
