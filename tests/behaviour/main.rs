mod geography;
mod tilings;
