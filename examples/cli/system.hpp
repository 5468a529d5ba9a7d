#pragma once

#include <cstdint>
#include <string>

namespace daguerre::cli {

/// Whether stderr is shown on a terminal, where a line can be redrawn.
bool stderr_is_terminal();
/// What the processor calls itself; "unknown" where the system does not tell.
std::string processor_name();
/// The most memory the process has held so far, in bytes; 0 where the system does not tell.
std::uint64_t peak_memory();

}  // namespace daguerre::cli
