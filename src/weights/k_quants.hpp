#pragma once

#include <cstdint>

namespace daguerre::weights {

/// 256 numbers to one block of Q4_K, Q5_K, Q6_K. The scales of its parts are searched for, around the plain
/// ones, with least squares, a number's weight growing with its size; then rounded to six bits (eight in
/// Q6_K), and the numbers rounded again with what the scales became.
void to_q4_k(const float* x, std::uint8_t* out);
void to_q5_k(const float* x, std::uint8_t* out);
void to_q6_k(const float* x, std::uint8_t* out);

}  // namespace daguerre::weights
