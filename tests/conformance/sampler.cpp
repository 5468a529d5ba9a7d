#include "conformance/case.hpp"
