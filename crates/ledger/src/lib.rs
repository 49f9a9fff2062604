//! Folds that count: budgets, charges, duplicates, reports. Refuses IO and HTTP.
