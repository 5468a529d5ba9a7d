#pragma once

#include <optional>
#include <string_view>

#include "text/jinja/value.hpp"

namespace daguerre::text::jinja {

/// Filters that go through elements; nullopt for another name.
std::optional<Value> apply_list_filter(std::string_view name, const Value& value, Arguments& arguments,
                                       Meter& meter);

}  // namespace daguerre::text::jinja
