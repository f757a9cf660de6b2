#pragma once

#include "base/gate/heavy_barrier.hpp"

namespace numpool {

/// Shuts gates and waits until all their owners are outside. Then everything that the owners did
/// inside is visible to the caller. `for_each_gate(visit)` calls `visit` with each gate. The caller
/// is inside none of them and holds the lock under which these gates are shut and opened.
template <class ForEachGate>
void shut_gates(ForEachGate for_each_gate) noexcept {
    for_each_gate([](auto& gate) { gate.shut(); });
    heavy_barrier();
    for_each_gate([](const auto& gate) { gate.wait_outside(); });
}

}  // namespace numpool
