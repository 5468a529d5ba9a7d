#pragma once

#include <optional>
#include <string>
#include <type_traits>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace daguerre::cli {

/// What a number on the command line may be, both ends included.
template <class T>
struct Limits {
  std::optional<T> least{};
  std::optional<T> most{};
};

/// Adds an option that takes a number and nothing else: "nan", "inf", "1e400", "0x10", "5abc" and nothing at
/// all are wrong use, as is what lies beyond `limits`, and the error says what is expected. T is int,
/// std::int64_t, std::uint64_t, float or double. What `target` holds is the default that --help can show.
template <class T>
CLI::Option* add_number(CLI::App& app, const std::string& name, T& target,
                        const std::type_identity_t<Limits<T>>& limits, const std::string& description);
/// The same for a number that has no default.
template <class T>
CLI::Option* add_number(CLI::App& app, const std::string& name, std::optional<T>& target,
                        const std::type_identity_t<Limits<T>>& limits, const std::string& description);

}  // namespace daguerre::cli
