#pragma once

#include <cstdint>
#include <string>

namespace daguerre {

/// What was done to a request's prompt before a picture was made of it; see pipeline/prompt_rewriter.hpp. It
/// goes with the request into the result and its infotexts, and comes back from them.
struct RewriteRecord {
  std::string original{};     ///< the prompt as it was given
  std::string rewriter{};     ///< who rewrote it
  std::string instruction{};  ///< what it was told to do, by name
  std::string remark{};       ///< what it was told besides, on the last picture perhaps
  std::uint64_t seed = 0;     ///< that it was given
  double seconds = 0.0;       ///< that it took
  std::string failure{};      ///< why the prompt is the original all the same; empty: it is not

  friend bool operator==(const RewriteRecord&, const RewriteRecord&) = default;
};

}  // namespace daguerre
