#pragma once

#include <string>

namespace daguerre {

// A number as people write it, "7.5", "20", in so many digits that it is read back as it was.
std::string number(double value);
std::string number(float value);

}  // namespace daguerre
