#include <cstdlib>

#include "peer_main.hpp"

namespace {

struct Link {
    Link* next;
};

struct List {
    Link* free = nullptr;
    std::size_t size = 0;
};

void* take(void* context, std::size_t size) {
    auto* const list = static_cast<List*>(context);
    if (size != list->size) *list = {nullptr, size};
    Link* const block = list->free;
    if (block == nullptr) [[unlikely]]
        return std::malloc(size);
    list->free = block->next;
    return block;
}

void give(void* context, void* block, std::size_t) {
    auto* const list = static_cast<List*>(context);
    auto* const link = static_cast<Link*>(block);
    link->next = list->free;
    list->free = link;
}

/// The limit through function pointers, as any allocator that is plugged in is called.
struct LimitCalled {
    static constexpr bool any_size = false;
    static constexpr bool any_thread = false;

    void* allocate(std::size_t size) { return take_(&list_, size); }
    void release(void* block, std::size_t size) { give_(&list_, block, size); }
    void trim() {}

  private:
    List list_;
    void* (*take_)(void*, std::size_t) = benchmark::opaque(&take);
    void (*give_)(void*, void*, std::size_t) = benchmark::opaque(&give);
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<LimitCalled>(count, arguments);
}
