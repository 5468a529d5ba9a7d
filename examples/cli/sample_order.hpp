#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "order.hpp"

namespace daguerre::evaluation {
class ProcessGroup;
}

// What jobs that make many pictures, `sample` and those of `eval`, take from an order.

namespace daguerre::cli {

/// The files that the order names, from which the pictures are made; its LoRAs must be settled.
std::vector<std::filesystem::path> files_of(const Order& order);

/// What the weights of each process may take, of its machine's memory: rank 0 decides for all, so that all do
/// the same. To be called in all processes.
std::uint64_t memory_share(evaluation::ProcessGroup& group);

}  // namespace daguerre::cli
