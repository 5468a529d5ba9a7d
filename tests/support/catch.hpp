#pragma once

// One include for the tests, whether Catch2 2 or 3 is installed.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;  // version 2 has it at global scope
#else
#include <catch2/catch.hpp>
#endif
