#pragma once

#include <functional>
#include <string_view>

namespace daguerre {

enum class LogLevel {
  info,     ///< what was decided: engine, precision, threads, files, orders
  warning,  ///< what may make a picture other than was meant: weights that nothing asked for, lost words
};

/// Receives messages, one line each, beginning with who speaks: `[weights] …`. Without one nothing is said.
/// It is called in the thread that loads or generates, so by several at once where the host has several do
/// that; what it throws reaches the caller of `load` or `generate`.
using LogSink = std::function<void(LogLevel level, std::string_view text)>;

}  // namespace daguerre
